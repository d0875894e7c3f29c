"""What the AI does with a lead or a conversation, when asked: words in, words out, nothing written."""
