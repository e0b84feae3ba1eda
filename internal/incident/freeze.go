package incident

import (
	"context"
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/web"
)

// freezing is the severity from which on nothing is deployed while an incident lasts.
const freezing = 2

// Deploys says whether something may be deployed now.
type Deploys struct {
	Frozen bool
	By     []Case // the incidents that freeze it
}

// Deploys answers whoever is about to deploy: from the moment an incident is decided to be of
// severity 1 or 2 until it is resolved the answer is no.
func (s *Service) Deploys(ctx context.Context, who actor.Actor) (Deploys, error) { // clause: inc.process
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return Deploys{}, err
	}
	cs, err := s.cases(ctx, s.DB, freezingCases)
	return Deploys{Frozen: len(cs) > 0, By: cs}, err
}

// freeze writes down inside a change of an incident that nothing is deployed because of it from now
// on, or that it is free again.
func (s *Service) freeze(ctx context.Context, tx *ledger.Tx, c Case) error {
	begin := !c.Drill && slices.Contains([]string{"L1", "L2", "L3"}, c.States[engine.L]) && c.Severity >= 1 && c.Severity <= freezing
	change, args := liftFreeze, []any{c.ID, us(tx.Now())}
	if begin {
		change, args = beginFreeze, append(args, tx.ID())
	}
	n, err := tx.Exec(ctx, change, args...)
	if err == nil && n == 1 {
		tx.Also(DeploysFrozen{Incident: c.ID, Round: c.Round, Severity: c.Severity, Frozen: begin})
	}
	return err
}

// DeploysFrozen is that nothing is deployed from now on because of an incident, or that it is free
// of it again.
type DeploysFrozen struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Severity int    `class:"public"`
	Frozen   bool   `class:"public"`
}

// About implements ledger.Event.
func (e DeploysFrozen) About() ledger.About {
	return ledger.About{Name: "incident.deploys-frozen", Clause: "inc.process", Object: thing(e.Incident)}
}

type deploysOut struct {
	Frozen    bool      `json:"frozen"`
	Incidents []caseOut `json:"incidents"` // that freeze it
	At        time.Time `json:"at"`
}

func (s *Service) getDeploys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	d, err := s.Deploys(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, deploysOut{d.Frozen, wireCases(d.By), s.Now().UTC()})
}

const (
	freezingCases = caseColumns + ` WHERE id IN (SELECT case_id FROM incident_freeze WHERE lifted IS NULL) ORDER BY id LIMIT 50`
	beginFreeze   = `INSERT INTO incident_freeze (id, case_id, since, lifted) VALUES ($3, $1, $2, NULL) ON CONFLICT (case_id) WHERE lifted IS NULL DO NOTHING`
	liftFreeze    = `UPDATE incident_freeze SET lifted = $2 WHERE case_id = $1 AND lifted IS NULL`
)
