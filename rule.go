package rsp

import (
	"fmt"

	"github.com/rserpool/rsp/internal/handlespace"
	"github.com/rserpool/rsp/internal/protocol"
)

// Rule selects by a policy of one's own (CustomPolicy). It returns the rank of a pool element: the
// lowest are selected first, those of the same rank in turn. It is asked when an element registers
// with new parameters and after each selection of it, with the parameters that it has registered, as
// they are, and how often it has been selected since it registered last. So
//
//	func(parameters string, selections uint32) uint64 {
//		return uint64(binary.BigEndian.Uint32([]byte(parameters))) + uint64(selections)
//	}
//
// is a least used policy that counts each selection as one more. It may be called by several
// goroutines at once, must not block, and must take any parameters: they come from the network.
type Rule func(parameters string, selections uint32) uint64

// validateRules reports a rule for a policy that has its own.
func validateRules(rules map[uint32]Rule) error {
	for number, rule := range rules {
		t := protocol.PolicyType(number)
		if _, known := t.Fields(); known || t == 0 {
			return fmt.Errorf("rules: policy type 0x%08x is %v, and not one's own", number, t)
		}
		if rule == nil {
			return fmt.Errorf("rules: the one for %v is nil", t)
		}
	}
	return nil
}

// rulesByType returns rules as a handlespace takes them.
func rulesByType(rules map[uint32]Rule) map[protocol.PolicyType]handlespace.Rule {
	byType := make(map[protocol.PolicyType]handlespace.Rule, len(rules))
	for number, rule := range rules {
		byType[protocol.PolicyType(number)] = handlespace.Rule(rule)
	}
	return byType
}
