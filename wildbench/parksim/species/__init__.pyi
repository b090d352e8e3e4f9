from .kind import Kind as Kind
from .register import kind_of as kind_of
