package timer

// movesPerFire times max is how many timers one Advance may move down a level. A move writes to three timers, which are
// rarely in cache, and costs about what a quarter of a short Fire does; without a bound a slot in which a hundred
// thousand timers wait would hold up the loop for milliseconds.
const movesPerFire = 4
