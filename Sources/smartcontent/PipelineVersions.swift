import ArgumentParser
import Dataflow
import PostgresClient
import PostgresViews

/// The versions of pipelines as the catalog has them now, for commands that work on one of them.
struct PipelineVersions {
  let all: [PipelineVersion]

  init(_ postgres: PostgresSettings) throws { all = try PipelineCatalog(postgres).versions() }

  func of(_ name: String) -> [PipelineVersion] { all.filter { $0.name == name } }

  func active(_ name: String) -> PipelineVersion? { of(name).first(where: \.isActive) }

  /// The declaration of the version that is asked for, else of the active one, else the declared one.
  func spec(of declared: PipelineSpec, version: Int?) throws -> PipelineSpec {
    guard let wanted = version ?? active(declared.name)?.version else { return declared }
    let stored = of(declared.name).first { $0.version == wanted }
    if let spec = stored?.spec { return spec }
    if stored?.hash == declared.hash { return declared }
    guard stored != nil else {
      throw ValidationError(
        "\(declared.name) has no version \(wanted); see `smartcontent rebuild --list`")
    }
    throw ValidationError(
      "version \(wanted) of \(declared.name) was computed by another program or declaration;"
        + " build a new one with `smartcontent rebuild --pipeline \(declared.name)`")
  }
}
