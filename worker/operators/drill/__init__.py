"""How is the kill switch proven to work?"""
