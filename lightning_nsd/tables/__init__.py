"""Numbers made once in float64, and used in the dtype and on the device of whatever they meet."""
