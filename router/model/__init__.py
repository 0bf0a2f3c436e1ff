"""The words of the trade as frozen, typed values. No behaviour that decides anything."""
