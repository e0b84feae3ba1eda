package totp

import (
	"bytes"
	"fmt"
	"image/png"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"

	"writ/internal/secret"
)

// Picture draws an address as a QR code in PNG, 264 pixels wide or somewhat more.
func Picture(uri secret.Text) ([]byte, error) {
	code, err := qr.Encode(uri.Reveal(), qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("draw code: %w", err)
	}
	n := code.Bounds().Dx()
	size := n * (264/n + 1) // whole pixels a module
	if code, err = barcode.Scale(code, size, size); err != nil {
		return nil, fmt.Errorf("draw code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, code); err != nil {
		return nil, fmt.Errorf("draw code: %w", err)
	}
	return b.Bytes(), nil
}
