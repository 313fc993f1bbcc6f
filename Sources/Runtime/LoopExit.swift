import Dataflow
import Ports

/// Why a step of a partition's loop did not do what it was to do.
enum LoopExit: Error {
  /// Something outside cannot be reached; the same step is tried again.
  case waiting(String)
  /// It was told to end.
  case stopped
  /// The stream is sealed and wholly committed.
  case finished
  /// Another process owns the stream now, or still.
  case fenced
  /// Going on could give a wrong number; the text says why and what to do.
  case halted(String)
}

extension LoopExit {
  init(_ error: ViewStoreError, _ spec: PipelineSpec) {
    switch error {
    case .unavailable(let reason): self = .waiting("Postgres: \(reason)")
    case .fenced, .held: self = .fenced
    case .otherPipeline(let stored, let declared):
      self = .halted(
        "the stored results of pipeline \(spec.name) version \(spec.version) were computed by another"
          + " declaration (\(String(stored, radix: 16)), now \(String(declared, radix: 16)));"
          + " raise `version` in Streams/pipelines.yaml to compute them anew")
    case .refused(let reason): self = .halted("Postgres refuses the rows: \(reason)")
    }
  }

  init(_ error: LogError) {
    switch error {
    case .unavailable(let reason): self = .waiting("NATS: \(reason)")
    case .missing(let stream, let from, let to):
      self = .halted(
        "frames \(from) to \(to) of \(stream) are no longer in the log; restore the stream, or raise"
          + " the pipeline's `version` to compute anew from what is left")
    case .wentBack(let stream, let wanted, let last):
      self = .halted(
        "\(stream) went back in time: frame \(wanted) is committed, the log ends at \(last) or holds"
          + " another frame there; restore the log, or compute anew with `smartcontent rebuild`"
      )
    case .refused(let reason): self = .halted("NATS refuses: \(reason)")
    }
  }

  init(_ error: PipelineError) { self = .halted("\(error)") }
}
