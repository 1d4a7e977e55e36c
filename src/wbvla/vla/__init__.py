"""Images, words and state become actions."""
