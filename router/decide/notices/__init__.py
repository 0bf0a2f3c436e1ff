"""What each of them is told, in which kind of notice."""
