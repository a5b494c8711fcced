"""What every room needs: messages, and files that are whole."""
