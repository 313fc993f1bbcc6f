import Testing

@testable import Experiments

@Suite("Experiments as JSON")
struct ExperimentFormatTests {
  private static let whole =
    #"{"id":"spring-subject","campaign":"spring","variants":["a","b"],"control":"a","weights":{"a":0.5,"b":0.5}}"#

  @Test("what is needed is little, and the rest has its defaults")
  func defaults() throws {
    let (id, command) = try ExperimentFormat.declaration(Array(Self.whole.utf8))
    #expect(id == "spring-subject")
    #expect(
      command
        == .declare(
          ExperimentPlan(campaign: "spring", variants: ["a", "b"], control: "a"),
          shares: [500_000, 500_000]))
  }

  @Test(
    "what is wrong is named by its place",
    arguments: [
      (#""id":"spring-subject""#, #""id":"Spring subject""#, "$.id"),
      (#""id":"spring-subject","#, "", "$.id"), (#""campaign":"spring","#, "", "$.campaign"),
      (#""campaign":"spring""#, #""campaign":7"#, "$.campaign"),
      (#"["a","b"]"#, #"["a"]"#, "$.variants"), (#"["a","b"]"#, #"["a","a"]"#, "$.variants"),
      (#"["a","b"]"#, #"["a",""]"#, "$.variants[1]"),
      (#""control":"a""#, #""control":"c""#, "$.control"),
      (#""a":0.5"#, #""a":0.6"#, "$.weights"), (#""a":0.5"#, #""a":0.5000001"#, "$.weights.a"),
      (#""a":0.5"#, #""a":-0.5"#, "$.weights.a"), (#""b":0.5"#, #""c":0.5"#, "$.weights.c"),
      (#","b":0.5"#, "", "$.weights.b"), (#"{"a":0.5,"b":0.5}"#, #"{"a":0,"b":0}"#, "$.weights"),
      (#""control""#, #""alpha":0.9,"control""#, "$.alpha"),
      (#""control""#, #""planned_persons":10,"control""#, "$.planned_persons"),
      (#""control""#, #""planned_persons":20000.5,"control""#, "$.planned_persons"),
      (#""control""#, #""metric":"clicks","control""#, "$.metric"),
      (#""control""#, #""guardrails":["click_rate"],"control""#, "$.guardrails"),
      (
        #""control""#, #""guardrails":["conversion_rate","conversion_rate"],"control""#,
        "$.guardrails[1]"
      ),
      (#""control""#, #""segments":["weather"],"control""#, "$.segments[0]"),
      (#""control""#, #""metric":"goal:","control""#, "$.metric"),
      (
        #""control""#, #""guardrails":["goal:Up"],"must_not_rise":["goal:Up"],"control""#,
        "$.must_not_rise"
      ),
      (#""control""#, #""must_not_rise":["bounce"],"control""#, "$.must_not_rise[0]"),
      (#""control""#, #""outcome_window_seconds":0,"control""#, "$.outcome_window_seconds"),
      (#""control""#, #""cohort":"5m","control""#, "$.cohort"),
      (#""control""#, #""currency":"euro","control""#, "$.currency"),
      (#""control""#, #""colour":1,"control""#, "$.colour"),
      (#""control""#, #""site":"a","site_id":"b","control""#, "$.site_id"),
    ])
  func wrong(old: String, new: String, path: String) throws {
    let range = try #require(Self.whole.firstRange(of: old))
    let text = Self.whole[..<range.lowerBound] + new + Self.whole[range.upperBound...]
    do throws(ExperimentRefusal) {
      _ = try ExperimentFormat.declaration(Array(text.utf8))
      Issue.record("taken: \(text)")
    } catch {
      guard case .invalid(let place, let detail, _) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(place == path, "\(text): \(detail)")
    }
  }

  @Test("what is no JSON is no experiment either", arguments: ["", "{", "[1", #"{"id":"x"}}"#])
  func malformed(text: String) throws {
    do throws(ExperimentRefusal) {
      _ = try ExperimentFormat.declaration(Array(text.utf8))
      Issue.record("taken: \(text)")
    } catch {
      guard case .malformed = error else {
        Issue.record("\(error)")
        return
      }
    }
  }

  @Test("a change takes the rest from what there is")
  func change() throws {
    let experiment = try #require(
      try ExperimentHistoryTests.history([
        .declare(ExperimentHistoryTests.plan, shares: [250_000, 750_000])
      ]))
    func changed(_ text: String) throws -> (ExperimentCommand, UInt64?) {
      let (command, revision) = try ExperimentFormat.change(Array(text.utf8), of: experiment)
      return (command, revision)
    }
    var plan = experiment.plan
    plan.alpha = 0.01
    let (command, revision) = try changed(#"{"alpha":0.01,"revision":7}"#)
    #expect(command == .change(plan, shares: [250_000, 750_000]) && revision == 7)
    #expect(
      try changed(#"{"weights":{"b":1,"a":0}}"#).0
        == .change(experiment.plan, shares: [0, 1_000_000]))
    #expect(try changed(#"{"status":"running"}"#).0 == .start)
    #expect(
      try changed(#"{"status":"stopped","decision":{"variant":"b","reason":"so"}}"#).0
        == .stop(Experiment.Decision(variant: "b", reason: "so")))
    for (text, path) in [
      ("{}", "$"), (#"{"revision":1}"#, "$"), (#"{"status":"draft"}"#, "$.status"),
      (#"{"status":"stopped"}"#, "$.decision"),
      (#"{"status":"running","alpha":0.01}"#, "$.status"),
      (#"{"status":"running","decision":{"variant":"a"}}"#, "$.decision"),
      (#"{"alpha":0.01,"decision":{"variant":"a"}}"#, "$.decision"),
      (#"{"variants":["a","b","c"]}"#, "$.weights"), (#"{"id":"y"}"#, "$.id"),
    ] {
      do throws(ExperimentRefusal) {
        _ = try ExperimentFormat.change(Array(text.utf8), of: experiment)
        Issue.record("taken: \(text)")
      } catch {
        guard case .invalid(let place, _, _) = error else {
          Issue.record("\(error)")
          continue
        }
        #expect(place == path, "\(text)")
      }
    }
  }
}
