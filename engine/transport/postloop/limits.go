package postloop

// postKeep is the length of a list of posted functions whose memory is kept for the next one; that of a burst, at 8 bytes a
// post, is given back.
const postKeep = 4096
