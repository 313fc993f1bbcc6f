import Dataflow
import Events
import Metrics
import Operators
import Testing
import Views

@testable import Runtime

/// What limits of operators cost is in the exposition, and so is the size of every operator.
@Suite struct LimitMetricTests {
  @Test("Touches and tuples beyond the limits are counted, with operator and consequence")
  func counted() throws {
    let spec = PipelineSpec(
      name: "test", tupleCountMax: 2, persons: PersonPolicy(personCountMax: 3),
      trends: TrendPolicy())
    let world = World(
      [
        .events(
          (0..<10).map {
            TestEvent(id: UInt64($0), time: ten, campaign: "c\($0)", device: $0)
          }, at: ten),
        .heartbeat(at: ten + second),
      ], spec: spec)
    let status = world.runToEnd()
    let metrics = RuntimeMetrics(world.registry)
    metrics.observe({ [status] }, now: { ten })
    func limit(_ name: String, _ consequence: String) -> Double? {
      world.sample(
        "smartcontent_operator_limits_total",
        "operator=\"\(name)\",consequence=\"\(consequence)\"")
    }
    #expect(limit("persons", "untracked") == 7)
    #expect(limit("persons", "refused_unions") == 0)
    #expect(limit("persons", "forgotten_exposures") == 0)
    #expect(limit("windows", "overflowed") ?? 0 > 0)
    #expect(limit("links", "refused") == 0)
    for name in ["dedupe", "windows", "persons", "links", "emitter"] {
      #expect(world.sample("smartcontent_state_keys{", "operator=\"\(name)\"") != nil, "\(name)")
      #expect(world.sample("smartcontent_state_keys_max", "operator=\"\(name)\"") ?? 0 > 0)
    }
    #expect(world.sample("smartcontent_partials_waiting") == nil)
  }

  @Test("What a second stage waits for, got too late and counted elsewhere is there too")
  func secondStage() {
    let spec = PipelineSpec(name: "test", persons: PersonPolicy(), trends: TrendPolicy())
    let world = World([], spec: spec, stream: .partials(of: spec))
    let status = world.run { $0.phase == .live }
    RuntimeMetrics(world.registry).observe({ [status] }, now: { ten })
    #expect(world.sample("smartcontent_partials_waiting") == 0)
    #expect(world.sample("smartcontent_state_keys{", "operator=\"intake\"") == 0)
    for consequence in ["too_late", "overflowed"] {
      #expect(
        world.sample(
          "smartcontent_operator_limits_total",
          "operator=\"trends\",consequence=\"\(consequence)\"") == 0)
    }
  }
}
