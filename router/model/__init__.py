"""The trade's words as frozen, typed values, without behaviour that decides anything."""
