"""The colors of pages and plots, by name."""

# Light values, distinguishable by lightness as well as hue; in SVG each becomes the page's CSS variable
# of that name, so that a dark page has its own. PNG files keep these on white.
COLORS = {
    "ink": "#1d2733",
    "muted": "#5c6875",
    "line": "#d9dee4",
    "base": "#8995a3",
    "adapted": "#2f83c9",
    "old": "#bf5209",
    "plum": "#8a3b7c",
    "amber": "#b07a00",
    "teal": "#0f7a68",
    "paper": "#fefefe",
}
