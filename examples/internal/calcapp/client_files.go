package calcapp

import (
	"fmt"
	"os"
)

// ClientVectorHeader is the header of a client's vector file.
const ClientVectorHeader = "ObjectName PID JobID JobSize JobInterval   " +
	"QueueLength QueuingDelay StartupDelay ProcessingTime HandlingTime HandlingSpeed   " +
	"QueuingTimeStamp StartupTimeStamp AcceptTimeStamp CompleteTimeStamp"

// VectorRecord is the record of a completed job in a client's vector file.
func (c *Client) VectorRecord(object string, j *Job) string {
	return fmt.Sprintf("%s %d %d %d %s   %d %s %s %s %s %.6f   %s %s %s %s",
		object, os.Getpid(), j.ID, j.Size, seconds6(c.JobInterval),
		j.QueueLength, seconds6(j.QueuingDelay()), seconds6(j.StartupDelay()), seconds6(j.ProcessingTime()), seconds6(j.HandlingTime()), j.HandlingSpeed(),
		timestamp(j.Queued), timestamp(j.Started), timestamp(j.Accepted), timestamp(j.Completed))
}

// Scalars are the contents of a client's scalar file.
func (s *Stats) Scalars() []Scalar {
	return []Scalar{
		{"CalcAppPU Total Queuing Time", seconds6(s.QueuingTime)},
		{"CalcAppPU Total Startup Time", seconds6(s.StartupTime)},
		{"CalcAppPU Total Processing Time", seconds6(s.ProcessingTime)},
		{"CalcAppPU Total Handling Time", seconds6(s.HandlingTime)},
		{"CalcAppPU Average Processing Speed", fmt.Sprintf("%.0f", speed(s.JobSizeCompleted, s.ProcessingTime))},
		{"CalcAppPU Average Handling Speed", fmt.Sprintf("%.0f", speed(s.JobSizeCompleted, s.HandlingTime))},
		{"CalcAppPU Total Jobs Queued", fmt.Sprint(s.JobsQueued)},
		{"CalcAppPU Total Jobs Started", fmt.Sprint(s.JobsStarted)},
		{"CalcAppPU Total Jobs Completed", fmt.Sprint(s.JobsCompleted)},
		{"CalcAppPU Total Job Size Queued", fmt.Sprint(s.JobSizeQueued)},
		{"CalcAppPU Total Job Size Started", fmt.Sprint(s.JobSizeStarted)},
		{"CalcAppPU Total Job Size Completed", fmt.Sprint(s.JobSizeCompleted)},
		{"CalcAppPU Total CalcAppRequests", fmt.Sprint(s.Requests)},
		{"CalcAppPU Total CalcAppAccepts", fmt.Sprint(s.Accepts)},
		{"CalcAppPU Total CalcAppRejects", fmt.Sprint(s.Rejects)},
		{"CalcAppPU Total CalcAppCompletes", fmt.Sprint(s.Completes)},
		{"CalcAppPU Total CalcAppKeepAlives", fmt.Sprint(s.KeepAlives)},
		{"CalcAppPU Total CalcAppKeepAliveAcks", fmt.Sprint(s.KeepAliveAcks)},
	}
}
