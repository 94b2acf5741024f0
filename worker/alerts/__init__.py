"""What must somebody act on, and how is he told?"""
