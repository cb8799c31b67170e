"""Autobahn's wstest, for Python 2.7, from a folder of packages. Arguments: folder, then those of wstest."""

import site
import sys

site.addsitedir(sys.argv.pop(1))

from autobahntestsuite.wstest import run

run()
