"""The person of the sample capture, made by formulas only: how she moves, what she wears, how light falls on her."""
