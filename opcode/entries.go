package opcode

import "slices"

// Entries returns all registered pairs in the order of their codes.
func (r *Registry) Entries() []*Entry {
	t := r.table.Load()
	all := make([]*Entry, 0, len(t.byCode))
	for _, e := range t.byCode {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Entry) int { return int(a.Code) - int(b.Code) })
	return all
}
