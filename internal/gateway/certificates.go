package gateway

import (
	"context"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

// CertificateRenewed says that an authority has issued a certificate for the public host.
type CertificateRenewed struct {
	Host   string    `class:"public"`
	Serial string    `class:"public"` // in hex
	Until  time.Time `class:"public"`
}

// About implements ledger.Event.
func (e CertificateRenewed) About() ledger.About {
	return ledger.About{Name: "gateway.certificate-renewed", Clause: "crypto.certificates", Object: "host/" + e.Host}
}

// CertificateRefused says that an authority did not issue one; why is in the log.
type CertificateRefused struct {
	Host string `class:"public"`
}

// About implements ledger.Event.
func (e CertificateRefused) About() ledger.About {
	return ledger.About{Name: "gateway.certificate-refused", Clause: "crypto.certificates", Object: "host/" + e.Host}
}

// CertificateRenewed records a certificate that came.
func (g *Gateway) CertificateRenewed(ctx context.Context, host, serial string, until time.Time) {
	g.recordCertificate(ctx, CertificateRenewed{Host: host, Serial: serial, Until: until})
}

// CertificateRefused records a try that failed.
func (g *Gateway) CertificateRefused(ctx context.Context, host string, _ error) {
	g.recordCertificate(ctx, CertificateRefused{Host: host})
}

func (g *Gateway) recordCertificate(ctx context.Context, e ledger.Event) {
	_, err := g.db.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) { return e, nil })
	if err != nil {
		g.log.Error("what became of a certificate could not be recorded", "event", e.About().Name, "err", err)
	}
}
