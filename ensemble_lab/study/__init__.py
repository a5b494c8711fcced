"""The controlled experiments: does the method pay, against controls that cost the same?"""
