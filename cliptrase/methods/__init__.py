"""Training-free methods as data: one record a method, one table, and methods from outside the package.

Nothing here needs torch until a method's reading is loaded.
"""

from cliptrase.methods.naming import ENTRY_POINTS as ENTRY_POINTS
from cliptrase.methods.naming import get_method as get_method
from cliptrase.methods.naming import get_methods as get_methods
from cliptrase.methods.naming import split_methods as split_methods
from cliptrase.methods.naming import votes_by_regions as votes_by_regions
from cliptrase.methods.options import MethodOption as MethodOption
from cliptrase.methods.record import Method as Method
from cliptrase.methods.record import Part as Part
from cliptrase.methods.switches import SWITCH_OPTIONS as SWITCH_OPTIONS
from cliptrase.methods.switches import SWITCHES as SWITCHES
from cliptrase.methods.table import METHODS as METHODS
