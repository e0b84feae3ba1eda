package engine

import "slices"

// Region is one of the machines that run side by side in an incident.
type Region string

// The regions.
const (
	L Region = "L" // lifecycle
	C Region = "C" // public communication
	R Region = "R" // lost data
	B Region = "B" // breach
	F Region = "F" // fix
)

// Role is who does a step. A role is taken by a person, and handed over.
type Role string

// The roles of an incident.
const (
	Anybody        Role = ""     // whoever may act in incidents
	Writ           Role = "writ" // the server, by the clock or by what it sees
	Commander      Role = "commander"
	Communications Role = "communications"
	Technical      Role = "technical-lead"
	Recovery       Role = "recovery-operator"
	Privacy        Role = "privacy-officer"
	Scribe         Role = "scribe"
)

// Roles lists those that people take.
func Roles() []Role { return []Role{Commander, Communications, Technical, Recovery, Privacy, Scribe} }

// Duty is the one of the five steps of the process that a state belongs to.
type Duty int

// The five steps, in order (inc.process).
const (
	Sort Duty = iota + 1
	Inform
	Contain // and restore
	Learn
	Repair
)

// State is where a region can stand.
type State struct {
	ID   string
	Name string
	Says string // what is happening, for whoever comes to it at night
	Rest bool   // the region may stay here for ever
}

// Step is one way from a state: the only ways there are.
type Step struct {
	From, Event, To string
	Says            string   // the button
	Guards          []string // each must hold, or be waived by two people
	Role            Role     // who takes it
	Due             string   // parameter of the policy: how long after From was entered it is late; "" = no deadline
	Act             string   // what the server does once it is taken; "" = nothing
	Proof           string   // what is recorded as evidence
	Duty            Duty
	Clause          string
}

// Machine is a region's table.
type Machine struct {
	Region Region
	Name   string
	Start  string
	States []State
	Steps  []Step
}

// Machines are all tables, the lifecycle first.
func Machines() []Machine { return []Machine{life, public, fix, loss, breach} }

// Of is the table of a region.
func Of(r Region) (Machine, bool) {
	all := Machines()
	i := slices.IndexFunc(all, func(m Machine) bool { return m.Region == r })
	if i < 0 {
		return Machine{}, false
	}
	return all[i], true
}

// State is the named state.
func (m Machine) State(id string) (State, bool) {
	i := slices.IndexFunc(m.States, func(s State) bool { return s.ID == id })
	if i < 0 {
		return State{}, false
	}
	return m.States[i], true
}

// From are the steps that lead away from a state, or stay in it.
func (m Machine) From(state string) (out []Step) {
	for _, s := range m.Steps {
		if s.From == state {
			out = append(out, s)
		}
	}
	return out
}

// Find is the step of an event in a state.
func (m Machine) Find(state, event string) (Step, bool) {
	for _, s := range m.Steps {
		if s.From == state && s.Event == event {
			return s, true
		}
	}
	return Step{}, false
}

// Events are the words of the table, each once, in its order.
func (m Machine) Events() (out []string) {
	for _, s := range m.Steps {
		if !slices.Contains(out, s.Event) {
			out = append(out, s.Event)
		}
	}
	return out
}

// Late is the parameter by which a state must be left, and the step that is late then.
func (m Machine) Late(state string) (Step, bool) {
	for _, s := range m.From(state) {
		if s.Due != "" {
			return s, true
		}
	}
	return Step{}, false
}
