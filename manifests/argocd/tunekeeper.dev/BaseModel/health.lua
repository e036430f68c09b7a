-- Health of a BaseModel in Argo CD, as kstatus reads it; a suspended one is Suspended.
-- `obj` is the object. Argo CD gives a check the libraries base and table, and no others.

local function condition(kind)
  for _, found in ipairs(obj.status.conditions or {}) do
    if found.type == kind then
      return found
    end
  end
end

local function is_true(kind)
  local found = condition(kind)
  return found ~= nil and found.status == "True"
end

local function said(kind)
  local found = condition(kind)
  if found == nil then
    return ""
  end
  return found.message == "" and found.reason or found.reason .. ": " .. (found.message or "")
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not seen this generation yet" }
end

if is_true("Stalled") then
  return { status = "Degraded", message = said("Stalled") }
end

if condition("Ready") ~= nil and condition("Ready").reason == "Suspended" then
  return { status = "Suspended", message = said("Ready") }
end

if is_true("Reconciling") then
  return { status = "Progressing", message = said("Reconciling") }
end

return { status = "Healthy", message = said("Ready") }
