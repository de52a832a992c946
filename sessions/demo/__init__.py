"""An invented clinic with two years behind it, made through the product's own services.

Nothing here writes a row of its own: people, orders and visits go through the same
acts as a nurse's, each at the moment the story's clock shows (`story.tell`).
"""
