"""What ``edge-sdk inspect`` shows of a template: what it is bound to and counts, and nothing of the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_sdk import files
from edge_sdk.errors import EdgeSdkError

if TYPE_CHECKING:
    from edge_sdk.manifest import Manifest
    from edge_sdk.runtime import Template
    from edge_sdk.runtime.template_layouts import TemplateHeader


def shown_without_key(path: str, header: TemplateHeader) -> tuple[dict[str, Any], list[str]]:
    """For machines and for people, of an encrypted template whose key is not at hand."""
    values = {
        "template": path,
        "bytes": files.regular_size(path),
        "encrypted": True,
        "opened": False,
        "template_id": header.template_id,
        "key_id": header.key_id,
        "embedding_space_id": header.embedding_space_id,
        "variant_sha256": header.variant_sha256,
    }
    return values, [
        f"{path}   encrypted template, {values['bytes']} bytes; not opened, and not checked",
        f"template         {header.template_id}",
        f"key              {header.key_id}: name it with --key to see the rest",
        f"embedding space  {header.embedding_space_id}",
    ]


def described(path: str, template: Template, header: TemplateHeader | None, bundle: str | None) -> dict[str, Any]:
    """For machines; ``header`` is None of a plain template, ``bundle`` for the shipped one of the template's name.

    Raises:
        BundleError: The bundle that was named cannot be opened.
    """
    from edge_sdk.bundle import Bundle, shipped

    opened, reason = None, None
    if bundle is not None:
        opened = Bundle.open(bundle)
    elif template.bundle_name in shipped():
        try:
            opened = Bundle.open(template.bundle_name)
        except EdgeSdkError as exc:
            reason = str(exc)
    else:
        reason = "it does not come with edge-sdk: name it with --bundle"
    threshold = None
    if opened is not None:
        reason = _refusal(template, opened.manifest)
        threshold = None if reason else _threshold(template, opened.manifest)
    return {
        "template": path,
        "kind": template.kind,
        "bytes": files.regular_size(path),
        "encrypted": header is not None,
        "opened": True,
        "template_id": template.template_id or None,
        "key_id": header and header.key_id,
        "count": template.count,
        "enrolled": template.enrolled,
        "added": template.added,
        "bundle_name": template.bundle_name,
        "variant_id": template.variant_id,
        "variant_sha256": template.variant_sha256,
        "embedding_space_id": template.embedding_space_id,
        "bundle_id": opened and opened.id,
        "refused": reason,
        "threshold": threshold,
    }


def text(values: dict[str, Any]) -> list[str]:
    """The same for people."""
    lines = [
        f"{values['template']}   template of kind {values['kind']}, {values['bytes']} bytes, "
        + ("encrypted" if values["encrypted"] else "plain"),
        f"template         {values['template_id'] or 'without an id: made before there were any'}",
        *([f"key              {values['key_id']}"] if values["encrypted"] else []),
        f"made with        {values['bundle_name']}, {values['variant_id']}",
        f"embedding space  {values['embedding_space_id']}",
        f"references       {values['count']}: {values['enrolled']} enrolled, {values['added']} added by updates",
    ]
    if values["bundle_id"] is None:
        return [*lines, f"bundle           not at hand: {values['refused']}"]
    if values["refused"]:
        return [*lines, f"bundle           {values['bundle_id']} refuses it: {values['refused']}"]
    lines.append(f"bundle           {values['bundle_id']}, of the same embedding space and variant")
    if (threshold := values["threshold"]) is not None:
        measured = f"{threshold['name']}, measured with {threshold['references']}"
        lines.append(f"accepted from    {threshold['value']:.4f} ({measured})")
    return lines


def _refusal(template: Template, manifest: Manifest) -> str | None:
    """Why a verifier of this bundle refuses the template by its binding; what it holds, the verifier alone checks."""
    if template.kind != manifest.score.template_kind or template.embedding_space_id != manifest.embedding_space_id:
        return "it is of another embedding space; enroll again"
    if all(template.variant_sha256 != manifest.variant_sha256(variant.id) for variant in manifest.variants):
        return "it was made by another variant; enroll again"
    return None


def _threshold(template: Template, manifest: Manifest) -> dict[str, Any] | None:
    """The one by which a verifier decides unless it is told another; None if the bundle has none."""
    from edge_sdk.manifest import VerifyPoint
    from edge_sdk.runtime.operating_point import choose_points, point_for

    variant = next(one for one in manifest.variants if manifest.variant_sha256(one.id) == template.variant_sha256)
    points = choose_points(variant, manifest.default_point, VerifyPoint)
    if not points:
        return None
    point = point_for(points, template.count)
    return {"name": point.name, "value": point.threshold, "references": point.references}
