"""The stages of a pipeline, one file each: the options that a file may set, and what they do."""
