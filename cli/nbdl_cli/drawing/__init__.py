"""Pictures made of characters: each file one kind, each a Rich renderable that fits the width it gets."""
