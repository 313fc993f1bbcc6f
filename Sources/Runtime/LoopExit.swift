import Dataflow
import Operators
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
    case .full(let reason):
      self = .waiting("Postgres has no room left; make some on its disk: \(reason)")
    case .fenced, .held: self = .fenced
    case .otherPipeline(let stored, let declared):
      self = .halted(
        "the stored results of pipeline \(spec.name) version \(spec.version) were computed by another"
          + " program or declaration (\(String(stored, radix: 16)), now \(String(declared, radix: 16)));"
          + " where Streams/pipelines.yaml was edited raise its `version`; then"
          + " `smartcontent rebuild --pipeline \(spec.name)` computes a new version beside this one, and"
          + " `smartcontent rebuild --pipeline \(spec.name) --drop \(spec.version)` removes this one"
      )
    case .refused(let reason): self = .halted("Postgres refuses the rows: \(reason)")
    }
  }

  init(_ error: LogError, _ spec: PipelineSpec) {
    switch error {
    case .unavailable(let reason): self = .waiting("NATS: \(reason)")
    case .missing(let stream, let from, let to):
      self = .halted(
        "frames \(from) to \(to) of \(stream) are no longer in the log; restore the stream, or give the"
          + " folder of its archive with --archive, or "
          + Self.wayOut(spec, "computes a new version from what is left", " --from-what-is-left"))
    case .wentBack(let stream, let wanted, let last):
      self = .halted(
        "\(stream) went back in time: frame \(wanted) is committed, the log ends at \(last) or holds"
          + " another frame there; restore the log, or "
          + Self.wayOut(spec, "computes a new version from what it holds"))
    case .refused(let reason): self = .halted("NATS refuses: \(reason)")
    }
  }

  /// The commands that lead out where a version's results are no longer those of the log.
  private static func wayOut(
    _ spec: PipelineSpec, _ what: String, _ option: String = ""
  ) -> String {
    "leave this version behind: `smartcontent rebuild --pipeline \(spec.name)\(option)` \(what), then"
      + " `smartcontent rebuild --pipeline \(spec.name) --drop \(spec.version)` removes this one"
  }

  init(_ error: PipelineError, _ spec: PipelineSpec) {
    switch error {
    case .diverged, .sourceWentBack, .refused(_, .missing):
      self = .halted("\(error); \(Self.wayOut(spec, "computes a new version"))")
    case .refused, .outOfOrder, .otherPipeline: self = .halted("\(error)")
    }
  }
}
