"""Charts as inline SVG: no script, colours from the page's style sheet, positions in per cent."""
