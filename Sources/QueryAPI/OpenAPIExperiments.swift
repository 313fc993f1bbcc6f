import Events
import Experiments
import Views

/// The part of the OpenAPI description that is about experiments.
enum OpenAPIExperiments {
  private static let security = #""security":[{"token":[]},{}]"#

  private static let errors = """
    "401":{"$ref":"#/components/responses/Problem"},"422":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  private static let changeErrors = """
    "400":{"$ref":"#/components/responses/Problem"},"403":{"$ref":"#/components/responses/Problem"},"409":{"$ref":"#/components/responses/Problem"},"413":{"$ref":"#/components/responses/Problem"},\(errors)
    """

  private static let id = """
    {"name":"id","in":"path","required":true,"description":"Id of the experiment","schema":{"type":"string"}}
    """

  private static let unknown = """
    "404":{"$ref":"#/components/responses/Problem"}
    """

  /// - Parameter csv: what its rows are; nil where it is JSON alone.
  private static func answer(
    _ schema: String, _ text: String, status: Int = 200, csv: String? = nil
  ) -> String {
    let table =
      csv.map { #","text/csv":{"schema":{"type":"string","description":"\#($0)"}}"# } ?? ""
    return """
      "\(status)":{"description":"\(text)","content":{"application/json":{"schema":{"$ref":"#/components/schemas/\(schema)"}}\(table)}}
      """
  }

  static let paths = """
    "/v1/experiments":{"get":{"tags":["experiments"],"operationId":"listExperiments","summary":"All experiments, of the file and of the API",\(security),"responses":{"200":{"description":"By id","content":{"application/json":{"schema":{"type":"object","required":["experiments"],"properties":{"experiments":{"type":"array","items":{"$ref":"#/components/schemas/Experiment"}}}}}}},\(errors)}},
    "post":{"tags":["experiments"],"operationId":"declareExperiment","summary":"Declare an experiment; it is a draft until it is started",\(security),"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/ExperimentDraft"}}}},"responses":{\(answer("Experiment", "The experiment", status: 201)),\(changeErrors)}}},
    "/v1/experiments/{id}":{"get":{"tags":["experiments"],"operationId":"experiment","summary":"One experiment, with the ranges of buckets that its persons are assigned by",\(security),"parameters":[\(id)],"responses":{\(answer("Experiment", "It")),\(unknown),\(errors)}},
    "patch":{"tags":["experiments"],"operationId":"changeExperiment","summary":"Change a draft, change the weights of a running one, start, or stop with a decision; status and other members one after the other",\(security),"parameters":[\(id)],"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/ExperimentChange"}}}},"responses":{\(answer("Experiment", "The experiment as it is now")),\(unknown),\(changeErrors)}}},
    "/v1/experiments/{id}/assignment":{"get":{"tags":["experiments"],"operationId":"assignment","summary":"The variant of a person, always the same; from memory, also while all stores are away",\(security),"parameters":[\(id),\(person(isRequired: true))],"responses":{\(answer("Assignment", "It")),\(unknown),\(errors)}},
    "post":{"tags":["experiments"],"operationId":"assign","summary":"The same, with the person in the body or in the query",\(security),"parameters":[\(id),\(person(isRequired: false))],"requestBody":{"required":false,"content":{"application/json":{"schema":{"type":"object","additionalProperties":false,"required":["person"],"properties":{"person":{"type":"string","minLength":1,"maxLength":128}}}}}},"responses":{\(answer("Assignment", "It")),\(unknown),"400":{"$ref":"#/components/responses/Problem"},"413":{"$ref":"#/components/responses/Problem"},\(errors)}}},
    "/v1/experiments/{id}/results":{"get":{"tags":["experiments"],"operationId":"experimentResults","summary":"What the experiment has come to and what to do about it; valid at any look",\(security),"parameters":[\(id),\(OpenAPIDocument.format)],"responses":{\(answer("ExperimentResults", "A function of the cohorts alone", csv: "A row for each variant and metric of everybody, then one for each variant of each segment")),\(unknown),"409":{"$ref":"#/components/responses/Problem"},\(errors)}}}
    """

  private static func person(isRequired: Bool) -> String {
    """
    {"name":"person","in":"query","required":\(isRequired),"description":"The id that the person's events carry","schema":{"type":"string","minLength":1,"maxLength":128}}
    """
  }

  private static func quoted(_ names: [String]) -> String {
    names.map { "\"\($0)\"" }.joined(separator: ",")
  }

  private static let metric = """
    {"anyOf":[{"enum":[\(quoted(ExperimentMetric.plain.map(\.name)))]},{"type":"string","pattern":"^goal:.{1,\(ExperimentMetric.goalBytesMax)}$","description":"Persons with an event of this name"}]}
    """

  private static let name =
    #"{"type":"string","minLength":1,"maxLength":\#(ExperimentFormat.textBytesMax)}"#

  private static let weights = """
    {"type":"object","description":"Of all persons, by variant, in whole millionths; what is left of 1 is not in the experiment","additionalProperties":{"type":"number","minimum":0,"maximum":1}}
    """

  private static let plan = """
    "site":\(name),"site_id":{"type":"string","minLength":1,"maxLength":\(ExperimentFormat.textBytesMax),"description":"The same as `site`, as queries call it; answers have `site`"},"campaign":\(name),"variants":{"type":"array","minItems":\(ExperimentPlan.variantCounts.lowerBound),"maxItems":\(ExperimentPlan.variantCounts.upperBound),"uniqueItems":true,"items":\(name)},
    "control":{"type":"string","description":"One of the variants"},
    "metric":{"allOf":[\(metric)],"default":"click_rate"},
    "guardrails":{"type":"array","description":"What no variant may make less","uniqueItems":true,"maxItems":\(ExperimentPlan.guardrailCountMax),"items":\(metric)},
    "must_not_rise":{"type":"array","description":"What no variant may make more","uniqueItems":true,"maxItems":\(ExperimentPlan.guardrailCountMax),"items":\(metric)},
    "currency":{"type":"string","pattern":"^[A-Z]{3}$","default":"USD","description":"The money that counts"},
    "minimal_effect":{"type":"number","minimum":\(ExperimentPlan.minimalEffects.lowerBound),"maximum":\(ExperimentPlan.minimalEffects.upperBound),"default":0.05,"description":"The smallest relative rise that would be worth having"},
    "planned_persons":{"type":"integer","minimum":\(ExperimentPlan.plannedPersonsAllowed.lowerBound),"maximum":\(ExperimentPlan.plannedPersonsAllowed.upperBound),"default":20000,"description":"Of each variant"},
    "alpha":{"type":"number","minimum":\(ExperimentPlan.alphas.lowerBound),"maximum":\(ExperimentPlan.alphas.upperBound),"default":0.05,"description":"The chance of ever deciding for a difference that is none"},
    "segments":{"type":"array","description":"Known before the assignment","uniqueItems":true,"items":{"enum":[\(quoted(ExperimentSegment.allCases.map(\.name)))]}},
    "cohort":{"enum":[\(quoted(WindowLevel.allCases.map(\.name)))],"default":"1m","description":"Persons are compared within such windows"},
    "outcome_window_seconds":{"type":"integer","minimum":\(ExperimentPlan.outcomeWindows.lowerBound),"maximum":\(ExperimentPlan.outcomeWindows.upperBound),"description":"How long after its exposure what a person does counts; the pipeline's where it is not there"}
    """

  private static let decided = """
    {"type":"object","additionalProperties":false,"required":["variant"],"properties":{"variant":{"type":"string"},"reason":{"type":"string","maxLength":\(ExperimentFormat.reasonBytesMax)}}}
    """

  private static let number = #"{"type":["number","null"]}"#
  private static let interval =
    #"{"type":"array","minItems":2,"maxItems":2,"items":{"type":["number","null"]}}"#

  static let schemas = """
    "ExperimentDraft":{"type":"object","additionalProperties":false,"required":["id","campaign","variants","control","weights"],"properties":{"id":{"type":"string","pattern":"^[a-z0-9_-]{1,64}$"},\(plan),"weights":\(weights)}},
    "ExperimentChange":{"type":"object","additionalProperties":false,"properties":{\(plan),"weights":\(weights),"status":{"enum":["running","stopped"]},"decision":\(decided),"revision":{"type":"integer","minimum":0,"description":"Refused where the experiment is at another one"}}},
    "Experiment":{"type":"object","required":["id","status","site","campaign","variants","control","metric","allocation","ranges","declared_by","revision"],"properties":{"id":{"type":"string"},"status":{"enum":["draft","running","stopped"]},\(plan),
    "allocation":{"type":"array","items":{"type":"object","required":["since","weights"],"properties":{"since":{"type":"string","format":"date-time"},"weights":\(weights)}}},
    "ranges":{"type":"array","description":"Buckets of the newest allocation, from 0 to \(Allocation.parts), `to` exclusive; between them nobody is in the experiment","items":{"type":"object","required":["from","to","variant"],"properties":{"from":{"type":"integer"},"to":{"type":"integer"},"variant":{"type":"string"}}}},
    "stopped_at":{"type":"string","format":"date-time"},"decision":\(decided),"declared_by":{"enum":["file","api"]},"revision":{"type":["integer","null"],"description":"Rises with every change; null for those of the file"}}},
    "Assignment":{"type":"object","required":["experiment","status","person","variant","in_experiment","bucket","probabilities","epoch"],"properties":{"experiment":{"type":"string"},"status":{"enum":["draft","running","stopped"]},"person":{"type":"string"},
    "variant":{"type":["string","null"],"description":"null: show what you would show without the experiment"},
    "in_experiment":{"type":"boolean","description":"False after the end, when everybody gets what was decided"},"bucket":{"type":"integer"},"probabilities":\(weights),"epoch":{"type":["integer","null"]}}},
    "ExperimentMetrics":{"type":"object","description":"By metric; money in units of the currency","additionalProperties":{"type":"object","required":["value","interval"],"properties":{"value":\(number),"interval":\(interval),
    "comparison":{"type":"object","description":"With the control","required":["lift","lift_interval","difference","difference_interval","variance_reduction","p_value","decision"],"properties":{
    "lift":{"type":["number","null"],"description":"Relative: 0.05 is five per cent more"},"lift_interval":\(interval),
    "difference":{"type":["number","null"],"description":"Within allocations, after CUPED"},"difference_interval":\(interval),"variance_reduction":{"type":["number","null"],"description":"What CUPED took off the variance, as a fraction; null where nothing is known of what persons did before"},"p_value":{"type":["number","null"],"description":"At most alpha where and only where there is a decision; null in segments, whose rates have a decision and intervals alone"},"decision":{"enum":["better","worse",null]}}}}}},
    "ExperimentResults":{"type":"object","required":["experiment","status","metric","control","decision","progress","variants","epochs","segments","sample_ratio","mixed","warnings","completeness"],"properties":{
    "experiment":{"type":"string"},"status":{"enum":["draft","running","stopped"]},"metric":\(metric),"control":{"type":"string"},"currency":{"type":"string"},"alpha":{"type":"number"},
    "decision":{"type":"object","required":["action","variant","reasons"],"properties":{"action":{"enum":["distrust","stop_for_harm","take_treatment","keep_control","stop_for_futility","go_on"]},"variant":{"type":["string","null"]},"reasons":{"type":"array","items":{"type":"string"}}}},
    "variants":{"type":"array","items":{"type":"object","required":["variant","is_control","persons","metrics","chance_to_be_best","expected_loss","chance_to_beat_control"],"properties":{"variant":{"type":"string"},"is_control":{"type":"boolean"},"persons":{"type":"integer"},"metrics":{"$ref":"#/components/schemas/ExperimentMetrics"},"chance_to_be_best":\(number),"expected_loss":\(number),"chance_to_beat_control":\(number)}}},
    "progress":{"type":"object","required":["planned_persons","persons","needed_persons"],"properties":{"planned_persons":{"type":"integer","description":"Of each variant"},"persons":{"type":"integer","description":"Of the variant that has the fewest"},"needed_persons":{"type":["number","null"],"description":"Of each variant, by which a test that is read once finds the smallest effect worth having in 80 of 100 experiments; null while too little is known of the control"}}},
    "epochs":{"type":"array","description":"The metric within each allocation, in order of time; what is decided is compared within them","items":{"type":"object","required":["since","weights","variants"],"properties":{"since":{"type":"string","format":"date-time"},"weights":\(weights),"variants":{"type":"array","items":{"type":"object","required":["variant","persons","value","lift"],"properties":{"variant":{"type":"string"},"persons":{"type":"integer"},"value":\(number),"lift":\(number)}}}}}},
    "segments":{"type":"array","items":{"type":"object","required":["dimension","value","variants"],"properties":{"dimension":{"type":"string"},"value":{"type":"string"},"variants":{"type":"array","items":{"type":"object","required":["variant","persons","metrics"],"properties":{"variant":{"type":"string"},"persons":{"type":"integer"},"metrics":{"$ref":"#/components/schemas/ExperimentMetrics"}}}}}}},
    "hidden_segments":{"type":"integer","description":"Values beyond the most that are shown"},
    "sample_ratio":{"type":"object","required":["is_mismatch","basis","p_value","alpha","variants","failures"],"properties":{"is_mismatch":{"type":"boolean"},"basis":{"enum":["declared","logged"],"description":"The weights of the experiment, or the chances that events say"},"p_value":{"type":"number"},"alpha":{"type":"number"},"variants":{"type":"array","items":{"type":"object","required":["variant","observed","expected"],"properties":{"variant":{"type":"string"},"observed":{"type":"number"},"expected":{"type":"number"}}}},"failures":{"type":"array","description":"Values whose persons do not reach the variants as allocated","items":{"type":"object","required":["value","p_value","variant","standard_deviations"],"properties":{"value":{"type":"string"},"p_value":{"type":"number"},"variant":{"type":"string"},"standard_deviations":{"type":"number"}}}}}},
    "mixed":{"type":"object","description":"Persons who saw more than one variant","required":["persons","share"],"properties":{"persons":{"type":"integer"},"share":\(number)}},
    "warnings":{"type":"array","items":{"type":"string"}},
    "completeness":{"type":"object","required":["position","log_time","watermark","cohort","outcome_window_seconds","mature_until","immature_persons","persons_between_epochs"],"properties":{"position":{"type":["string","null"],"description":"Up to where the log is in it"},"log_time":{"type":["string","null"],"format":"date-time"},"watermark":{"type":["string","null"],"format":"date-time"},"cohort":{"type":"string"},"outcome_window_seconds":{"type":"number"},"mature_until":{"type":["string","null"],"format":"date-time"},"immature_persons":{"type":"integer"},"persons_between_epochs":{"type":"integer","description":"Of windows in which the experiment began, ended or changed its weights; they count nowhere"}}}}}
    """
}
