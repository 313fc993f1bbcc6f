import Events
import Learning

/// What PostHog's SDKs are answered: each decision as a flag whose variant is the arm.
///
///     {"flags":{"spring-teaser":{"key":"spring-teaser","enabled":true,"variant":"b","value":"b","failed":false,
///       "reason":{"code":"policy","description":"…","condition_index":null},
///       "metadata":{"id":…,"version":7,"config_version":1,"payload":"\"<token>\"","description":null,
///                   "has_experiment":true}}},
///      "errorsWhileComputingFlags":false,"requestId":"<token>"}
///
/// The payload of each flag is its token, which comes back as `$feature_flag_payload` with its `$feature_flag_called`,
/// from those SDKs that send it. Where one flag was asked for, its token is the id of the request too, which all of
/// them send back as `$feature_flag_request_id`.
///
/// Old SDKs look for `"featureFlags":{"spring-teaser":"b"}` and `featureFlagPayloads` instead.
enum FlagsAnswer {
  /// - Parameter settings: further members, which SDKs for browsers ask for.
  static func json(
    _ outcomes: [DecisionDesk.Outcome], settings: [(name: String, json: String)], isOld: Bool
  ) -> [UInt8] {
    var json = JSONWriter(reserving: 256 + 640 * outcomes.count)
    json.beginObject()
    json.key("flags")
    json.beginObject()
    for outcome in outcomes {
      guard let (decision, token) = outcome.decisions.first else { continue }
      json.key(outcome.plan.id)
      write(outcome, decision, token, to: &json)
    }
    json.endObject()
    if isOld { writeOld(outcomes, to: &json) }
    for (name, value) in settings {
      json.key(name)
      json.raw(value)
    }
    json.key("errorsWhileComputingFlags")
    json.bool(false)
    json.key("requestId")
    let first = outcomes.first?.decisions.first
    json.string((outcomes.count == 1 ? first?.token : first?.decision.token.id.description) ?? "")
    json.endObject()
    return json.bytes
  }

  private static func writeOld(_ outcomes: [DecisionDesk.Outcome], to json: inout JSONWriter) {
    json.key("featureFlags")
    json.beginObject()
    for outcome in outcomes {
      guard let decision = outcome.decisions.first?.decision else { continue }
      json.key(outcome.plan.id)
      json.string(outcome.plan.arms[decision.arm])
    }
    json.endObject()
    json.key("featureFlagPayloads")
    json.beginObject()
    for outcome in outcomes {
      guard let token = outcome.decisions.first?.token else { continue }
      json.key(outcome.plan.id)
      json.string("\"\(token)\"")
    }
    json.endObject()
  }

  private static func write(
    _ outcome: DecisionDesk.Outcome, _ decision: Decision, _ token: String,
    to json: inout JSONWriter
  ) {
    let arm = outcome.plan.arms[decision.arm]
    json.beginObject()
    json.key("key")
    json.string(outcome.plan.id)
    json.key("enabled")
    json.bool(true)
    json.key("variant")
    json.string(arm)
    json.key("value")
    json.string(arm)
    json.key("failed")
    json.bool(false)
    json.key("reason")
    json.beginObject()
    json.key("code")
    json.string(decision.reason.rawValue)
    json.key("condition_index")
    json.null()
    json.key("description")
    json.string(DecideAnswer.reasons(outcome).first ?? "")
    json.endObject()
    json.key("metadata")
    json.beginObject()
    json.key("id")
    json.integer(decision.token.plan)
    json.key("version")
    json.integer(decision.token.version)
    json.key("config_version")
    json.integer(1)
    json.key("description")
    json.null()
    json.key("payload")
    json.string("\"\(token)\"")
    json.key("has_experiment")
    json.bool(true)
    json.endObject()
    json.endObject()
  }
}
