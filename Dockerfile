# A registrar as an image of nothing but the program:
#
#	docker build -t rspregistrar .
#	docker run -p 3863:3863 rspregistrar -transport=tcp
#
# and the programs of examples/kubernetes:
#
#	docker build -t rsp-example --target example .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Without cgo there is no libc to be found at run time; names are looked up by Go itself.
ENV CGO_ENABLED=0
RUN go build -trimpath -ldflags=-s -o /out/ ./cmd/rspregistrar ./examples/kubernetes/server ./examples/echo

FROM scratch AS example
COPY --from=build /out/server /out/echo /
USER 65532:65532

FROM scratch
COPY --from=build /out/rspregistrar /
USER 65532:65532
EXPOSE 3863 9901
ENTRYPOINT ["/rspregistrar"]
