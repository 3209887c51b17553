"""What the Learn section teaches with: lessons and their figures, drills, quiz, glossary, FAQ, and Ask."""
