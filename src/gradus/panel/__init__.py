"""Quality by people: what raters are asked, what they answered, and the page they answer on."""
