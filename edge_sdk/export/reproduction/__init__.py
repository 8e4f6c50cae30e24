"""Tables of the documents, trained and measured again."""
