"""People's egocentric video: rooms, people who walk to things in them, words, and what is drawn of it."""
