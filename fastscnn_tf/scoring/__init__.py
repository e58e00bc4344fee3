"""Label maps of whole images, and their scores, whatever model gave them."""
