"""Lightweight adaptation through peft: a few new parameters beside weights that stay frozen.

One adapter a file; `attach` is the only file that imports peft. What a checkpoint keeps is peft's
own layout, in the subfolder ``adapter`` beside the frozen weights.
"""
