package protocol

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// String prints a policy as RSPLIB's programs spell it, "LeastUsedDegradation:0.1",
// when its load, which has no place there, is 0; else all fields in wire order,
// "LeastUsedDegradation:0.3:0.1". The distance, which is measured, is never printed.
// The parameters of an unknown type are hexadecimal, "policy(0x80000001):002a".
func (p Policy) String() string {
	if _, known := p.Type.Fields(); !known {
		return fmt.Sprintf("%v:%x", p.Type, p.Opaque)
	}
	var b strings.Builder
	b.WriteString(p.Type.String())
	for _, f := range p.textForm() {
		b.WriteByte(':')
		b.WriteString(f.format(*p.Field(f)))
	}
	return b.String()
}

// ParsePolicy reads what String prints and what RSPLIB's programs take after
// -policy=. Names are case-sensitive, fractions 0 to 1. For every policy p but
// the zero one, ParsePolicy(p.String()) is p without the distance.
func ParsePolicy(text string) (Policy, error) {
	name, rest, hasValues := strings.Cut(text, ":")
	var values []string
	if hasValues {
		values = strings.Split(rest, ":")
	}
	p, err := parsePolicy(name, values)
	if err != nil {
		return Policy{}, fmt.Errorf("policy %q: %w", text, err)
	}
	return p, nil
}

func parsePolicy(name string, values []string) (Policy, error) {
	if number, ok := strings.CutPrefix(name, "policy(0x"); ok {
		return parseUnknownPolicy(number, values)
	}
	t, ok := policyNames[name]
	switch {
	case name == "PriorityLeastUsedDPF" || name == "PriorityLeastUsedDegradationDPF":
		return Policy{}, fmt.Errorf("%s has no format on the wire", name) // RSPLIB names it all the same
	case !ok:
		return Policy{}, fmt.Errorf("unknown name %q", name)
	}
	forms := t.textForms()
	i := slices.IndexFunc(forms, func(form []PolicyField) bool { return len(form) == len(values) })
	if i < 0 {
		return Policy{}, fmt.Errorf("%s takes %s values, not %d", name, counts(forms), len(values))
	}
	p := Policy{Type: t}
	for j, f := range forms[i] {
		v, err := f.parse(values[j])
		if err != nil {
			return Policy{}, err
		}
		*p.Field(f) = v
	}
	return p, nil
}

// counts prints how many fields each form has: "1 or 2".
func counts(forms [][]PolicyField) string {
	var list []string
	for _, form := range forms {
		list = append(list, strconv.Itoa(len(form)))
	}
	return strings.Join(list, " or ")
}

// parseUnknownPolicy reads the number of a policy, "80000001)", and its only value.
func parseUnknownPolicy(number string, values []string) (Policy, error) {
	digits, closed := strings.CutSuffix(number, ")")
	n, err := strconv.ParseUint(digits, 16, 32)
	p := Policy{Type: PolicyType(n)}
	_, known := p.Type.Fields()
	switch {
	case !closed || len(digits) != 8 || err != nil:
		return Policy{}, fmt.Errorf("%q is no policy type: policy(0x and 8 hexadecimal digits)", "policy(0x"+number)
	case n == 0:
		return Policy{}, errors.New("policy type 0 is invalid")
	case known:
		return Policy{}, fmt.Errorf("type 0x%08x is written %s", n, p.Type)
	case len(values) != 1:
		return Policy{}, fmt.Errorf("%v takes 1 value, not %d", p.Type, len(values))
	}
	opaque, err := hex.DecodeString(values[0])
	if err != nil {
		return Policy{}, fmt.Errorf("parameters %q: %w", values[0], err)
	}
	if len(opaque) > MaxOpaque {
		return Policy{}, fmt.Errorf("%d bytes of parameters are more than %d", len(opaque), MaxOpaque)
	}
	p.Opaque = string(opaque)
	return p, nil
}

var policyNames = func() map[string]PolicyType {
	names := make(map[string]PolicyType)
	for t, info := range policies {
		names[info.name] = t
	}
	return names
}()

// textForms returns which fields a policy's text may write, the fewest first. No
// two forms have the same number of fields.
func (t PolicyType) textForms() [][]PolicyField {
	fields, _ := t.Fields()
	full := without(fields, FieldDistance)
	forms := [][]PolicyField{full}
	if short := without(full, FieldLoad); len(short) < len(full) {
		forms = [][]PolicyField{short, full}
	}
	switch t {
	case RandomizedPriorityLeastUsed, RandomizedLeastUsedDegradation, RandomizedPriorityLeastUsedDegradation:
		// RSPLIB has no place for a degradation in the first one, and no text for the others.
		forms = slices.Insert(forms, 0, nil)
	}
	return forms
}

func without(fields []PolicyField, field PolicyField) []PolicyField {
	return slices.DeleteFunc(slices.Clone(fields), func(f PolicyField) bool { return f == field })
}

// textForm returns the shortest of p's text forms that omits nothing but zeros.
func (p Policy) textForm() []PolicyField {
	forms := p.Type.textForms()
	full := forms[len(forms)-1]
	i := slices.IndexFunc(forms, func(form []PolicyField) bool {
		return !slices.ContainsFunc(full, func(f PolicyField) bool {
			return *p.Field(f) != 0 && !slices.Contains(form, f)
		})
	})
	return forms[i]
}

// isFraction reports whether a field stands for 0 to 100 %.
func (f PolicyField) isFraction() bool {
	return f == FieldLoad || f == FieldDegradation || f == FieldWeightDPF || f == FieldLoadDPF
}

// format prints a fraction with the fewest digits that parse reads as v again.
func (f PolicyField) format(v uint32) string {
	if !f.isFraction() {
		return strconv.FormatUint(uint64(v), 10)
	}
	for digits := 1; ; digits++ { // 10 always do
		text := strconv.FormatFloat(float64(v)/MaxLoad, 'g', digits, 64)
		if again, err := f.parse(text); err == nil && again == v {
			return text
		}
	}
}

func (f PolicyField) parse(text string) (uint32, error) {
	if !f.isFraction() {
		v, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%v %q is not an integer from 0 to 4294967295", f, text)
		}
		return uint32(v), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("%v %q is not a number from 0 to 1", f, text)
	}
	return Fraction(v), nil
}

func (f PolicyField) String() string {
	switch f {
	case FieldWeight:
		return "weight"
	case FieldPriority:
		return "priority"
	case FieldLoad:
		return "load"
	case FieldDegradation:
		return "degradation"
	case FieldWeightDPF:
		return "weight DPF"
	case FieldLoadDPF:
		return "load DPF"
	}
	return "distance"
}
