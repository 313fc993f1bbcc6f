import Dataflow
import Testing

@testable import PostgresViews
@testable import smartcontent

@Suite("Which versions of a pipeline are run, and which one is built next")
struct PipelineVersionTests {
  private static func declared(_ version: Int = 1, grace: Int64 = 60_000_000) -> PipelineSpec {
    PipelineSpec(name: "clicks", version: version, windowGrace: grace)
  }

  /// As the catalog has it; of another program where only its hash is known.
  private static func stored(
    _ spec: PipelineSpec, isActive: Bool = false, state: PipelineVersion.State = .live,
    ofAnotherProgram: Bool = false
  ) -> PipelineVersion {
    PipelineVersion(
      name: spec.name, version: spec.version,
      hash: ofAnotherProgram ? spec.hash ^ 1 : spec.hash, state: state, isActive: isActive,
      createdAt: 0, activatedAt: nil, spec: ofAnotherProgram ? nil : spec)
  }

  @Test("what queries read is run, first, and what else is kept up to date beside it")
  func both() {
    let versions = [
      Self.stored(Self.declared(1)), Self.stored(Self.declared(2), isActive: true),
      Self.stored(Self.declared(3), state: .building),
      Self.stored(Self.declared(4), state: .dropped),
    ]
    #expect(versions.toRun(Self.declared(1)) == [Self.declared(2), Self.declared(1)])
    #expect([PipelineVersion]().toRun(Self.declared(1)) == [Self.declared(1)])
    #expect(versions.toRun(Self.declared(5)).last == Self.declared(5))
  }

  @Test("results of another program that queries read are run into a halt with its way out")
  func otherProgram() throws {
    let versions = [Self.stored(Self.declared(1), isActive: true, ofAnotherProgram: true)]
    #expect(versions.toRun(Self.declared(1)) == [Self.declared(1)])
    #expect(versions.outdated(Self.declared(1))?.version == 1)
    #expect(versions.active(Self.declared(1)).version == 1)
    #expect(try RebuildPlan.target(Self.declared(1), versions) == Self.declared(2))
  }

  @Test("once a version of this program is read the other program's is left alone")
  func leftBehind() {
    let versions = [
      Self.stored(Self.declared(1), ofAnotherProgram: true),
      Self.stored(Self.declared(2), isActive: true),
    ]
    #expect(versions.toRun(Self.declared(1)) == [Self.declared(2)])
    #expect(versions.outdated(Self.declared(1)) == nil)
  }

  @Test("one that was interrupted is built on, and an edited declaration needs another version")
  func plan() throws {
    let interrupted = [
      Self.stored(Self.declared(1), isActive: true, ofAnotherProgram: true),
      Self.stored(Self.declared(2), state: .building),
    ]
    #expect(try RebuildPlan.target(Self.declared(1), interrupted) == Self.declared(2))
    let active = [Self.stored(Self.declared(1), isActive: true)]
    #expect(try RebuildPlan.target(Self.declared(1), active) == Self.declared(2))
    #expect(active.outdated(Self.declared(1)) == nil)
    let edited = Self.declared(1, grace: 5_000_000)
    #expect(throws: RebuildError.self) { _ = try RebuildPlan.target(edited, active) }
    let raised = Self.declared(2, grace: 5_000_000)
    #expect(try RebuildPlan.target(raised, active) == raised)
  }
}
