"""The models that come with the package: folders of data, and what makes a model out of a base."""
