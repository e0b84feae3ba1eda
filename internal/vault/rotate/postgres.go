package rotate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// roles are the slots of a PostgreSQL server.
type roles struct{ s *Service }

// actFor bounds what is done at another server in one step; it is well within a hold.
const actFor = 20 * time.Second

var (
	roleForm  = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
	roleMarks = [2]string{"{user}", "{password}"}
)

func (k roles) check(ctx context.Context, who actor.Actor, r *row) error {
	sp := &r.Spec
	for _, name := range []string{sp.Owner, sp.Roles[0], sp.Roles[1]} {
		if !roleForm.MatchString(name) || strings.HasPrefix(name, "pg_") {
			return fault.New(fault.Invalid, "role_form", fault.Public{Problem: "A rotation of a role has an owner role and two slots.", Expected: "Three names of small letters, digits and _.", Next: "Name them, such as shop, shop_a and shop_b."})
		}
	}
	if sp.Owner == sp.Roles[0] || sp.Owner == sp.Roles[1] || sp.Roles[0] == sp.Roles[1] {
		return fault.New(fault.Invalid, "role_form", fault.Public{Problem: "The owner role and both slots are three roles.", Next: "Choose three names."})
	}
	t, err := parseTemplate(sp.Template, roleMarks)
	if err != nil {
		return err
	}
	sample := t.fill(sp.Roles[0], "x")
	c, err := parseAddress(sample)
	if err != nil || c.User != sp.Roles[0] || c.Password != "x" {
		return fault.New(fault.Invalid, "template", fault.Public{Problem: "The template makes no address of a database that this server uses.", Expected: troubles["address_form"].Expected,
			Next: "Write it as postgres://{user}:{password}@HOST/DATABASE?sslmode=verify-full"})
	}
	if err := k.s.Vault.CheckDatabase(sample); err != nil {
		return err
	}
	if err := k.s.Vault.MayRead(ctx, who, sp.Admin); err != nil { // whoever has it used could use it
		return err
	}
	if sp.Admin == r.Name {
		return fault.New(fault.Invalid, "admin_same", fault.Public{Problem: "The administrator's address is a parameter of its own.", Next: "Write it to another name."})
	}
	return k.with(ctx, r, func(ctx context.Context, c *pgx.Conn) error {
		for _, slot := range sp.Roles {
			if _, err := k.slot(ctx, c, r, slot); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k roles) whose(_ context.Context, r *row, v secret.Text) (string, error) {
	c, err := parseAddress(v)
	if err != nil || !slices.Contains([]string{r.Spec.Roles[0], r.Spec.Roles[1], r.Spec.Owner}, c.User) {
		return "", stuck("value_foreign")
	}
	return c.User, nil
}

func (k roles) draw(r *row, old string) (pair, error) {
	t, err := parseTemplate(r.Spec.Template, roleMarks)
	if err != nil {
		return pair{}, err
	}
	p := pair{ID: r.Spec.Roles[0], Secret: secret.RandomText(30)}
	if old == p.ID {
		p.ID = r.Spec.Roles[1]
	}
	p.Value = t.fill(p.ID, p.Secret.Reveal())
	return p, nil
}

// create makes the slot a member of the owner role, as which its sessions begin: what it
// makes belongs to the owner role, whichever slot made it.
func (k roles) create(ctx context.Context, r *row, p pair) (within, error) { // clause: crypto.key-rotation
	verifier, err := passhash.SCRAM(p.Secret, secret.Random(16).Reveal())
	if err != nil {
		return nil, err
	}
	return nil, k.with(ctx, r, func(ctx context.Context, c *pgx.Conn) error {
		there, err := k.slot(ctx, c, r, p.ID)
		if err != nil {
			return err
		}
		slot, owner := pgx.Identifier{p.ID}.Sanitize(), pgx.Identifier{r.Spec.Owner}.Sanitize()
		var do []string
		if !there {
			do = append(do, "CREATE ROLE "+slot+" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT", "GRANT "+owner+" TO "+slot, "ALTER ROLE "+slot+" SET role TO "+owner)
		}
		do = append(do, "ALTER ROLE "+slot+" LOGIN PASSWORD '"+verifier.Reveal()+"' VALID UNTIL 'infinity'") // the verifier has no quote in it
		return all(ctx, c, do...)
	})
}

// slot reports whether a role is there, and refuses one that is somebody else's.
func (k roles) slot(ctx context.Context, c *pgx.Conn, r *row, name string) (there bool, err error) {
	var strong, member bool
	err = c.QueryRow(ctx, `SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls, pg_has_role(oid, $2::name, 'MEMBER') FROM pg_roles WHERE rolname = $1`, name, r.Spec.Owner).Scan(&strong, &member)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case strong || !member:
		return false, stuck("role_taken")
	}
	return true, nil
}

// try logs in for real, and looks at what the session may.
func (k roles) try(ctx context.Context, r *row, v secret.Text) error { // clause: crypto.key-rotation
	cfg, err := parseAddress(v)
	if err != nil {
		return stuck("login_other")
	}
	return dial(ctx, cfg, "login_refused", func(ctx context.Context, c *pgx.Conn) error {
		var user string
		var member bool
		if err := c.QueryRow(ctx, `SELECT session_user::text, pg_has_role(session_user, $1::name, 'MEMBER')`, r.Spec.Owner).Scan(&user, &member); err != nil {
			return err
		}
		if user != cfg.User || !member {
			return stuck("login_other")
		}
		return nil
	})
}

// checked wants a wrong password refused: where it is not, the test of a log-in says nothing.
func (k roles) checked(ctx context.Context, r *row, p pair) error {
	cfg, err := parseAddress(p.Value)
	if err != nil {
		return stuck("login_other")
	}
	cfg.Password = secret.RandomText(30).Reveal()
	err = dial(ctx, cfg, "login_refused", func(context.Context, *pgx.Conn) error { return nil })
	switch {
	case err == nil:
		return stuck("password_unchecked")
	case isTrouble(err, "login_refused"):
		return nil
	}
	return err
}

// revoke lets the former role in no more and ends its sessions. It stays there, with what it
// may own, until its slot has its turn again.
func (k roles) revoke(ctx context.Context, r *row) (within, error) { // clause: crypto.key-rotation
	return nil, k.with(ctx, r, func(ctx context.Context, c *pgx.Conn) error {
		if err := all(ctx, c, "ALTER ROLE "+pgx.Identifier{r.Old}.Sanitize()+" NOLOGIN PASSWORD NULL"); err != nil {
			return err
		}
		_, err := c.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()`, r.Old)
		return err
	})
}

func (roles) discard(*row) within { return nil }

func (roles) settled(context.Context, string) {}

// with connects as the administrator, and sees that the owner role is one to have members.
func (k roles) with(ctx context.Context, r *row, act func(context.Context, *pgx.Conn) error) error {
	v, err := k.s.Vault.Hand(ctx, r.system(), r.Spec.Admin, "to replace "+r.Name)
	if errors.Is(err, fault.NotFound) {
		return stuck("admin_gone")
	}
	if err != nil {
		return fmt.Errorf("read the administrator's address: %w", err)
	}
	cfg, err := parseAddress(v.Text)
	if err != nil || k.s.Vault.CheckDatabase(v.Text) != nil {
		return stuck("address_form")
	}
	if slices.Contains([]string{r.Spec.Roles[0], r.Spec.Roles[1], r.Spec.Owner}, cfg.User) {
		return stuck("admin_right") // it would end itself
	}
	return dial(ctx, cfg, "admin_refused", func(ctx context.Context, c *pgx.Conn) error {
		var strong bool
		err := c.QueryRow(ctx, `SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = $1`, r.Spec.Owner).Scan(&strong)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return stuck("owner_gone")
		case err != nil:
			return err
		case strong:
			return stuck("owner_strong")
		}
		return act(ctx, c)
	})
}

// dial connects and acts, and says what went wrong in words of its own.
func dial(ctx context.Context, cfg *pgx.ConnConfig, refused string, act func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, actFor)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		if code := state(err); strings.HasPrefix(code, "28") || code == "42501" { // the role, or its right to connect
			return stuck(refused)
		} else if code != "" && code != "53300" && !strings.HasPrefix(code, "57") { // too many clients, starting up
			return stuck("database_error")
		}
		return stuck("unreachable")
	}
	err = act(ctx, c)
	if closed := c.Close(context.WithoutCancel(ctx)); err == nil && closed != nil && ctx.Err() == nil {
		err = closed
	}
	if _, known := troubleOf(err); err == nil || known {
		return err
	}
	switch code := state(err); {
	case code == "42501":
		return stuck("admin_right")
	case code != "":
		return stuck("database_error")
	}
	return stuck("unreachable")
}

// state is the SQLSTATE of a server's refusal, "" where it gave none.
func state(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// all does statements together or none of them.
func all(ctx context.Context, c *pgx.Conn, statements ...string) error {
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		for _, q := range append([]string{"SET LOCAL lock_timeout = '5s'"}, statements...) {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}
