package rsp_test

import (
	"slices"
	"strings"
)

// check checks what all have seen.
func (d *dialogue) check(seen *dialogueCounts) {
	d.checkAnswers()
	if d.resend {
		d.checkResent(seen)
	} else {
		d.checkLosses(seen)
	}
	seen.requests += len(d.sent)
	seen.failovers += len(d.failovers)
	if d.Failed() {
		d.Logf("resend %v, manual %v, bytes %v, lazy %v:\n%s", d.resend, d.manual, d.bytes, d.lazy, strings.Join(d.history, "\n"))
		for number := range len(d.failovers) + 1 {
			d.Logf("stay %d: %+v, answered %v", number, d.stays[number], d.answeredIn(number))
		}
	}
}

// checkAnswers: once and in order, with Resend each.
func (d *dialogue) checkAnswers() {
	for i, a := range d.answers {
		if d.resend && a.request != i+1 {
			d.Fatalf("answer %d is to request %d, in stay %d", i+1, a.request, a.stay)
		}
		if i > 0 && (a.request <= d.answers[i-1].request || a.stay < d.answers[i-1].stay) {
			d.Fatalf("after an answer to %+v came one to %+v", d.answers[i-1], a)
		}
	}
}

// answeredIn lists the requests that the session has an answer to from a stay.
func (d *dialogue) answeredIn(number int) (requests []int) {
	for _, a := range d.answers {
		if a.stay == number {
			requests = append(requests, a.request)
		}
	}
	return requests
}

// checkStay: a PE gets requests in order and without a gap, and the session gets answers in order and without
// a gap; there is nothing else.
func (d *dialogue) checkStay(number int) (requests, answered []int) {
	answered = d.answeredIn(number)
	if s := d.stays[number]; s != nil {
		requests = s.requests
	}
	for i, n := range requests {
		if n != requests[0]+i {
			d.Errorf("in stay %d request %d came after %d", number, n, requests[i-1])
		}
	}
	if len(answered) > len(requests) || !slices.Equal(answered, requests[:len(answered)]) {
		d.Errorf("in stay %d requests %v were answered, requests %v sent", number, answered, requests)
	}
	return requests, answered
}

// checkResent: "a PE may get a request that others have got: each one that was sent and whose answer had not
// arrived when the session left the PE before, FailoverEvent.Unanswered in number. [...] And a cookie that came before the
// answer may tell of the request as served."
func (d *dialogue) checkResent(seen *dialogueCounts) {
	answered, served := 0, 0 // the highest, until now
	for number := range len(d.failovers) + 1 {
		requests, answers := d.checkStay(number)
		if len(requests) > 0 && requests[0] != answered+1 {
			d.Errorf("stay %d began with request %d, when %d were answered", number, requests[0], answered)
		}
		if number > 0 {
			f := d.failovers[number-1]
			if waiting := f.sent - answered; f.unanswered != waiting && f.unanswered != waiting+1 { // one is being sent
				d.Errorf("before stay %d %d requests were unanswered, not %d", number, f.unanswered, waiting)
			}
		}
		if len(requests) > 0 {
			if cookie := d.stays[number].cookie; cookie < answered || cookie > served {
				d.Errorf("stay %d began with cookie %d, when %d were answered, %d served", number, cookie, answered, served)
			}
			seen.servedTwice += max(0, min(served, requests[len(requests)-1])-answered)
			served = max(served, requests[len(requests)-1])
		}
		answered += len(answers)
	}
	if answered != len(d.sent) {
		d.Errorf("%d of %d requests are answered", answered, len(d.sent))
	}
}

// checkLosses: "What was sent and is not answered may have been served or not. The lost PE has got the first of
// those messages, up to some, and the next PE none of them. Of the lost PE's messages those that have arrived are read
// first; the others, its last ones, are lost." Who is with the session at the end has all, and has answered all.
func (d *dialogue) checkLosses(seen *dialogueCounts) {
	next := 1 // that no PE has got
	for number := range len(d.failovers) + 1 {
		requests, answers := d.checkStay(number)
		if len(requests) > 0 {
			for n := next; n < requests[0]; n++ {
				if !d.sentBefore(n, number) {
					d.Errorf("request %d was lost, but sent in stay %d", n, number)
				}
				seen.lostRequests++
			}
			if requests[0] < next || number > 0 && d.sent[requests[0]-1].Before(d.failovers[number-1].at) {
				d.Errorf("stay %d got request %d, which was sent before", number, requests[0])
			}
			next = requests[len(requests)-1] + 1
		}
		if number < len(d.failovers) {
			seen.lostAnswers += len(requests) - len(answers)
		} else if len(answers) != len(requests) {
			d.Errorf("in the last stay requests %v were answered, of %v", answers, requests)
		}
	}
	for n := next; n <= len(d.sent); n++ {
		if !d.sentBefore(n, len(d.failovers)) {
			d.Errorf("request %d was lost in the last stay", n)
		}
		seen.lostRequests++
	}
}

// sentBefore reports whether request n was sent before the loss that led to a stay. In a stay that was lost as soon as
// it began, the one and the other are at the same time.
func (d *dialogue) sentBefore(n, number int) bool {
	if number == 0 {
		return false
	}
	sent, lost := d.sent[n-1], d.failovers[number-1].lostAt
	return sent.Before(lost) || sent.Equal(lost) && number > 1 && d.failovers[number-2].at.Equal(lost)
}
