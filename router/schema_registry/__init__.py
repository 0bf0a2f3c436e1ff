"""The schemas that parties need: their own registry server, and their registration in an external registry."""
