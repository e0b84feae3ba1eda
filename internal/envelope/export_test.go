package envelope

// Sector is one sector of whole blocks, also of fewer than a file's have, as vectors do.
func (s *Sectors) Sector(p []byte, n uint64, decrypt bool) {
	var masks [SectorSize]byte
	block := s.data.Encrypt
	if decrypt {
		block = s.data.Decrypt
	}
	s.sector(p, n, &masks, block)
}
