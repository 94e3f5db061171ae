"""Plans over many periods and sites that the plants can really make, and what bounds their cost."""
